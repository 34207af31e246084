"""Writes ONNX graphs node by node.

The graphs are built directly rather than traced from PyTorch, so that they hold exactly the
operators that tract runs, with weights laid out as its matrix products want them, and so that
they do not depend on the version of PyTorch or of transformers that happens to be installed.
"""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = 17
#: The intermediate representation that came with opset 17.
IR_VERSION = 8
#: protobuf ends at 2 GiB: a graph with more weights than this keeps them in a file beside it.
EXTERNAL_DATA_BYTES = 1_900_000_000

_TYPES = {"f32": TensorProto.FLOAT, "i64": TensorProto.INT64}


class Graph:
    """One graph under construction. Values are known by their names."""

    def __init__(self, name: str):
        self.name = name
        self._scope = ""
        self._count = 0
        self._nodes = []
        self._inputs = []
        self._outputs = []
        self._weights = {}
        self._constants = {}
        self._renamed = {}

    # ---- the outside

    def input(self, name: str, kind: str, dims: list) -> str:
        """Declares an input; `dims` are numbers or the names of axes."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], dims))
        return name

    def output(self, value: str, name: str, dims: list) -> None:
        """Declares a value as the output `name`."""
        self._renamed[value] = name
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))

    # ---- the inside

    @contextmanager
    def scope(self, name: str):
        """Prefixes the names made inside, so that a graph can be read."""
        outer, self._scope = self._scope, f"{self._scope}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def weight(self, array: np.ndarray, hint: str) -> str:
        """An initializer."""
        name = f"{self._scope}{hint}"
        while name in self._weights:
            self._count += 1
            name = f"{self._scope}{hint}_{self._count}"
        self._weights[name] = np.ascontiguousarray(array)
        return name

    def constant(self, value, dtype=np.float32) -> str:
        """A small initializer, shared by all who need the same one."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            self._weights[name] = array
            self._constants[key] = name
        return self._constants[key]

    def indices(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant(list(values), np.int64)

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        """Adds a node; returns its output's name, or a tuple of them."""
        self._count += 1
        name = f"{self._scope}{kind}_{self._count}"
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def size(self, value: str, axis: int) -> str:
        """The length of an axis as a vector of one int64."""
        return self.op("Slice", self.op("Shape", value), self.indices(axis), self.indices(axis + 1), self.indices(0))

    # ---- the end

    def build(self) -> onnx.ModelProto:
        """The finished model."""
        for node in self._nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    names[i] = self._renamed.get(name, name)
        # raw=True: the array's bytes as they are, little-endian.
        tensors = [
            helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.tobytes(), raw=True)
            for name, array in self._weights.items()
        ]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, tensors)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="hive_export"
        )
        model.ir_version = IR_VERSION
        return model

    def save(self, path: Path) -> list:
        """Writes the graph, checked; returns the files written."""
        model = self.build()
        written = [path]
        if sum(array.nbytes for array in self._weights.values()) > EXTERNAL_DATA_BYTES:
            data = path.with_name(path.name + ".data")
            onnx.save_model(
                model, str(path), save_as_external_data=True, all_tensors_to_one_file=True, location=data.name
            )
            written.append(data)
        else:
            onnx.save_model(model, str(path))
        # By path: the checker then also follows external data.
        onnx.checker.check_model(str(path), full_check=True)
        return written


def transposed_weights(model: onnx.ModelProto) -> list:
    """Names of the initializers that a Transpose turns at run time. An export must have none."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node.input[0] for node in model.graph.node if node.op_type == "Transpose" and node.input[0] in weights]
