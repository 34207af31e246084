//! The actor that owns the CPU device's threads.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context};

use super::Device;
use super::threads::Crew;
use crate::supervision::ChildContext;

/// How often unused models are looked for.
const EVICTION_INTERVAL: Duration = Duration::from_secs(10);

/// Owns the threads: they start and end with an incarnation.
pub(crate) struct DeviceActor {
    device: Device,
    child: ChildContext,
    crew: Option<Crew>,
}

impl DeviceActor {
    pub(crate) fn new(device: Device, child: ChildContext) -> Self {
        DeviceActor {
            device,
            child,
            crew: None,
        }
    }
}

impl Actor for DeviceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match Crew::start(self.device.shared().clone()) {
            Ok(crew) => self.crew = Some(crew),
            Err(error) => {
                self.child
                    .fail(format!("the compute threads could not be started: {error}"));
                return;
            }
        }
        ctx.run_interval(EVICTION_INTERVAL, |actor, _| {
            actor.device.shared().evict_idle()
        });
    }
}
