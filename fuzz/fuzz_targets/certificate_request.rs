//! What a stranger sends to the authority: a request to sign a key, as PEM or its DER, a wish in JSON, a join token. A key
//! that is taken is one that signed its own request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::authority::{Token, key_of, key_of_der, message::Wish};

fuzz_target!(|bytes: &[u8]| {
    let _ = key_of_der(bytes);
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let _ = key_of(text);
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string().parse::<Token>().ok(), Some(token));
    }
    let _ = serde_json::from_slice::<Wish>(bytes);
});
