# syntax=docker/dockerfile:1
# The build stage runs the same scripts/setup and cargo build as `make build`, so the image holds
# nothing that a Debian 12 machine would not.

FROM rust:1-bookworm AS build
WORKDIR /src
COPY scripts/setup scripts/setup
RUN scripts/setup build
COPY . .
RUN cargo build --release --locked --package hive

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends apertium apertium-eng-spa espeak-ng curl ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin hive
COPY --from=build /src/target/release/hive /usr/local/bin/hive
COPY --from=build /src/.deps /usr/share/hive
COPY config/hive.yaml /etc/hive/hive.yaml
ENV HIVE__ENGINES__ASSETS=/usr/share/hive \
    HIVE__HTTP__BIND=0.0.0.0:7880
USER hive
# HTTP (WHIP, WHEP, events, health, metrics) and the first media worker.
EXPOSE 7880/tcp 3478/udp 3478/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:7880/health"]
ENTRYPOINT ["/usr/local/bin/hive"]
CMD ["serve", "--config", "/etc/hive/hive.yaml"]
