//! The parts that concern the whole process.

use std::{num::NonZeroU16, path::PathBuf};

use crate::{
    defaults,
    model::{AccessLog, Admin, Drain, Limits, Memory, Workers},
    spec::{self, LogOutput, OrNone, Slot},
};

pub(super) fn admin(spec: &spec::Admin) -> Option<Admin> {
    Some(Admin {
        bind: spec.bind.read_or(defaults::ADMIN_BIND, |bind| bind.0.0)?,
    })
}

pub(super) fn workers(spec: &Slot<spec::Workers>) -> Option<Workers> {
    spec.read_or(Workers::Auto, |workers| match workers {
        spec::Workers::Auto => Workers::Auto,
        // Zero is refused where it is read.
        spec::Workers::Count(count) => NonZeroU16::new(*count).map_or(Workers::Auto, Workers::Count),
    })
}

pub(super) fn limits(spec: &spec::Limits) -> Option<Limits> {
    Some(Limits {
        connections: spec.connections.number_or(defaults::WORKER_CONNECTIONS)?,
        memory: spec.memory.read_or(Memory::ControlGroup, |memory| match memory {
            OrNone::None => Memory::Unbounded,
            OrNone::Some(size) => Memory::Bytes(size.0),
        })?,
    })
}

pub(super) fn drain(spec: &spec::Drain) -> Option<Drain> {
    Some(Drain {
        timeout: spec
            .timeout
            .read_or(defaults::DRAIN_TIMEOUT, |timeout| timeout.0)?,
    })
}

pub(super) fn access_log(spec: &spec::AccessLog) -> Option<Option<AccessLog>> {
    spec.output.read_or(None, |output| match output {
        LogOutput::Stdout => Some(AccessLog::Stdout),
        LogOutput::Stderr => Some(AccessLog::Stderr),
        LogOutput::None => None,
        LogOutput::File(path) => Some(AccessLog::File(PathBuf::from(&path.0.0))),
    })
}
