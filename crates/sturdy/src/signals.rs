//! The signals that ask for the end. What they mean is decided by who asks for them here.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// One that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// SIGINT, which is Ctrl-C unless a line is being edited.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Asks {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        }
    }
}

/// Those that are heeded.
pub struct Signals {
    // Without handlers the signals end the process at once, which is safe, if less polite.
    heeded: Option<(Signal, Signal)>,
}

impl Signals {
    /// From now on they are heeded.
    pub fn heed() -> Self {
        let heeded = signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
        Self { heeded: heeded.ok() }
    }

    /// The next one that comes.
    pub async fn next(&mut self) -> Asks {
        let Some((interrupt, terminate)) = &mut self.heeded else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Asks::Interrupt,
            _ = terminate.recv() => Asks::Terminate,
        }
    }
}
