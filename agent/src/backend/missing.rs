//! Stands in for the container runtime until the adaptor to it is here: cannot be connected.

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use super::{
    Backend, BackendError, BackendOptions, Exit, HostError, ImageError, Prepared, ProgressFn,
    RunningStep, StartError, StepRequest,
};

/// A backend of which there is none.
#[derive(Debug)]
pub struct Missing(Infallible);

/// Fails.
pub fn connect(_options: &BackendOptions) -> Result<Missing, HostError> {
    Err(HostError {
        reason: "this build has no container runtime".to_owned(),
        fix: None,
    })
}

impl Backend for Missing {
    type Image = Self;
    type Workspace = Self;
    type Step = Self;

    async fn prepare(&self, _: &str, _: ProgressFn<'_>) -> Result<Prepared<Self>, ImageError> {
        match self.0 {}
    }

    async fn open_workspace(&self, _: &str) -> Result<Self, BackendError> {
        match self.0 {}
    }

    async fn close_workspace(&self, _: Self) -> Result<(), BackendError> {
        match self.0 {}
    }

    async fn start(&self, _: StepRequest<'_, Self, Self>, _: OwnedFd) -> Result<Self, StartError> {
        match self.0 {}
    }
}

impl RunningStep for Missing {
    async fn wait(&mut self) -> Result<Exit, BackendError> {
        match self.0 {}
    }

    fn terminate(&mut self) -> Result<(), BackendError> {
        match self.0 {}
    }

    fn kill(&mut self) -> Result<(), BackendError> {
        match self.0 {}
    }
}
