//! Single values: numbers within bounds, sizes, flags, and any text that has a notation.

use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::{
    model::{ByteSize, value::Invalid},
    reader::refuse,
};

/// A value read from its text.
#[derive(Debug)]
pub(crate) struct Written<T>(pub(crate) T);

/// What a [`Written`] value looks like.
pub(crate) trait Notation: FromStr<Err = Invalid> {
    /// Its name in the schema.
    const NAME: &'static str;
    /// What was expected, with its article: `a duration such as 250ms`.
    const EXPECTED: &'static str;
    /// A regular expression (of ECMA-262, as JSON Schema asks) that every such text matches.
    const PATTERN: &'static str;
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug)]
pub(crate) struct Int<const MIN: u64, const MAX: u64>(u64);

/// A size from `MIN` to `MAX` bytes, as a plain number of bytes or with its unit.
#[derive(Debug)]
pub(crate) struct Size<const MIN: u64, const MAX: u64>(pub(crate) ByteSize);

/// `true` or `false`.
#[derive(Debug)]
pub(crate) struct Flag(pub(crate) bool);

/// Only `true`: a choice is made by writing it, and unmade by leaving it out.
#[derive(Debug)]
pub(crate) struct True;

impl<const MIN: u64, const MAX: u64> Int<MIN, MAX> {
    /// As a type that its bounds fit, which the caller chooses so.
    pub(crate) fn get<N: TryFrom<u64>>(&self) -> Option<N> {
        N::try_from(self.0).ok()
    }
}

impl<'de, T: Notation> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WrittenVisitor(PhantomData))
    }
}

struct WrittenVisitor<T>(PhantomData<T>);

impl<T: Notation> Visitor<'_> for WrittenVisitor<T> {
    type Value = Written<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written<T>, E> {
        T::from_str(text).map(Written).map_err(refuse)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Written<T>, E> {
        Err(unquoted::<T, E>(&value.to_string()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Written<T>, E> {
        Err(unquoted::<T, E>(&value.to_string()))
    }
}

/// A number or a flag where a text belongs.
fn unquoted<T: Notation, E: de::Error>(found: &str) -> E {
    let repair = if T::from_str(found).is_ok() {
        ": put it in quotes"
    } else {
        ""
    };
    refuse(Invalid::because(format!(
        "expected {}, found `{found}`{repair}",
        T::EXPECTED
    )))
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(IntVisitor::<MIN, MAX>)
    }
}

struct IntVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for IntVisitor<MIN, MAX> {
    type Value = Int<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        match u64::try_from(value) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Int(number)),
            _ => Err(E::invalid_type(de::Unexpected::Signed(value), &self)),
        }
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor::<MIN, MAX>)
    }
}

struct SizeVisitor<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> SizeVisitor<MIN, MAX> {
    fn bounded<E: de::Error>(size: Result<ByteSize, Invalid>) -> Result<Size<MIN, MAX>, E> {
        let size = size.map_err(refuse)?;
        if (MIN..=MAX).contains(&size.bytes()) {
            return Ok(Size(size));
        }
        let bounds = [MIN, MAX]
            .map(|bound| ByteSize::new(bound).map_or_else(|_| bound.to_string(), |b| b.to_string()));
        Err(E::custom(format!(
            "this size is from {} to {}, not {size}",
            bounds[0], bounds[1]
        )))
    }
}

impl<const MIN: u64, const MAX: u64> Visitor<'_> for SizeVisitor<MIN, MAX> {
    type Value = Size<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `64KiB`")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        match u64::try_from(value) {
            Ok(bytes) => Self::bounded(ByteSize::new(bytes)),
            Err(_) => Err(E::invalid_type(de::Unexpected::Signed(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::bounded(ByteSize::parse(text))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bool(FlagVisitor)
    }
}

struct FlagVisitor;

impl Visitor<'_> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true` or `false`")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Flag, E> {
        Ok(Flag(value))
    }
}

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Flag::deserialize(deserializer)? {
            Flag(true) => Ok(Self),
            Flag(false) => Err(de::Error::custom(
                "only `true` may stand here: leave the field out instead",
            )),
        }
    }
}

impl<T: Notation> JsonSchema for Written<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description = T::EXPECTED;
        match T::PATTERN {
            "^" => json_schema!({ "type": "string", "description": description }),
            pattern => json_schema!({ "type": "string", "description": description, "pattern": pattern }),
        }
    }
}

macro_rules! inline_schema {
    ($type:ty $([$($generics:tt)*])?, $schema:expr) => {
        impl $(<$($generics)*>)? JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

inline_schema!(Flag, json_schema!({ "type": "boolean" }));
inline_schema!(True, json_schema!({ "const": true }));
inline_schema!(
    Int<MIN, MAX> [const MIN: u64, const MAX: u64],
    json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
);
inline_schema!(
    Size<MIN, MAX> [const MIN: u64, const MAX: u64],
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": MIN, "maximum": MAX },
        { "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)?$" },
    ]})
);
