//! Certificates, keys, authorities and lists that changed while the configuration did not.

use super::{Cause, Live, Materials, Sockets, State};

impl State {
    /// The text is what runs; the files it names may have changed. What is good in them goes live for new connections.
    pub(super) fn rotate(&mut self, mut live: Live, cause: Cause) {
        // What was good before stays, so nothing new can be bad.
        let loaded = Materials::load(&live.model, &live.materials);
        let changed = loaded
            .ok()
            .filter(|materials| !materials.same_files(&live.materials));
        let Some(materials) = changed else {
            self.live = Some(live);
            return self.keep(cause);
        };
        let is_applied = materials.differs(&live.materials);
        self.tell_kept(&materials);
        live.materials = materials;
        if !is_applied {
            self.live = Some(live);
            return;
        }
        live.generation += 1;
        self.registry.control().certificates_applied.inc();
        tracing::info!(
            generation = live.generation,
            "changed certificates are live for new connections"
        );
        if let Err(error) = self.send(live, Sockets::new()) {
            self.drain(Some(error.to_string()));
        }
    }

    /// Tells of files that are bad and for which what they held before stays in use.
    pub(super) fn tell_kept(&self, materials: &Materials) {
        for problem in &materials.kept {
            tracing::error!(problem, "a file is bad; what it held before stays in use");
            self.registry.control().certificates_rejected.inc();
        }
    }
}
