//! How this process comes by an identity of its own.

use std::path::Path;

use super::{Checker, Own};
use crate::{
    defaults::{
        IDENTITY_FOLDER, IDENTITY_TTL,
        operations::{CA_TTL_MIN, JOIN_TOKEN_PREFIX},
    },
    model::{Address, Enrollment},
    spec::{self, Slot, Written, notation::Text},
    tree::NodeId,
};

impl Checker<'_> {
    /// What `identity` says, if it is written; from now on others may do without files of their own. `None` where
    /// something is wrong.
    pub(super) fn identity(&mut self, slot: &Slot<spec::Enrollment>) -> Option<Option<Enrollment>> {
        let Some(at) = slot.node() else {
            return Some(None);
        };
        let made = slot.given().and_then(|(at, spec)| self.enrollment(at, spec));
        let nowhere = || Enrollment {
            authority: Address::Dns(String::new(), 1),
            token: None,
            folder: IDENTITY_FOLDER.into(),
            ttl: IDENTITY_TTL,
            place: self.tree.place(at),
        };
        let stand_in = made.clone().unwrap_or_else(nowhere);
        self.identity = Some(Own {
            certificate: stand_in.certificate(),
            roots: stand_in.roots(),
        });
        made.map(Some)
    }

    fn enrollment(&mut self, at: NodeId, spec: &spec::Enrollment) -> Option<Enrollment> {
        let authority = self.required(at, "authority", &spec.authority);
        let token = match spec.token.given() {
            Some((at, Written(Text(text)))) if text.starts_with(JOIN_TOKEN_PREFIX) => {
                self.error(
                    at,
                    "this is a token itself: whoever reads the configuration could join with it, so put it in a file \
                     and name that",
                );
                None
            }
            Some(_) => self.file(&spec.token).map(Some),
            None => spec.token.node().is_none().then_some(None),
        };
        let place = self.tree.place(at);
        let folder = match &spec.folder {
            Slot::Absent => {
                let beside = Path::new(&place.file).parent().unwrap_or_else(|| Path::new(""));
                Some(beside.join(IDENTITY_FOLDER))
            }
            folder => self.file(folder).map(|folder| folder.path),
        };
        let ttl = spec.ttl.read_or(IDENTITY_TTL, |ttl| ttl.0)?;
        if ttl.duration() < CA_TTL_MIN {
            let least = CA_TTL_MIN.as_secs();
            let at = spec.ttl.node().unwrap_or(at);
            self.error(
                at,
                format!("certificates are good for at least {least}s, not {ttl}"),
            );
        }
        Some(Enrollment {
            authority: authority?.0.clone(),
            token: token?,
            folder: folder?,
            ttl,
            place,
        })
    }
}
