//! `message!`: a message's schema, declared once; both directions derive from it.
//!
//! ```text
//! message! {
//!     /// What the message is for.
//!     pub struct FetchRequest {
//!         /// About the field.
//!         max_bytes: i32 [3..] = i32::MAX;                   // versions, default
//!         rack_id: Option<Str> [11.., null 12..];            // null is allowed from version 12 on
//!         cluster_id: Option<Str> [12.., null 12.., tag 0];  // a tagged field
//!         topics: Vec<FetchTopic> [0..];                     // another declared struct
//!     }
//! }
//! ```
//!
//! Ranges are Rust's: `3..`, `0..=12`. A field outside its versions is neither written nor read and
//! has its default (Kafka calls that "ignorable"). Which versions of an API exist, and from which
//! on they are flexible (KIP-482), is said in one place: the table in `messages`. Tagged fields are
//! declared in the order of their tags; unknown ones are skipped.

/// Declares messages and the structs in them; see the module's head.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $struct:ident { $(
            $(#[$field_meta:meta])*
            $field:ident : $type:ty
                [ $versions:expr $(, null $null:expr)? $(, tag $tag:literal)? ] $(= $default:expr)? ;
        )* }
    )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $struct { $( $(#[$field_meta])* pub $field: $type, )* }

        impl Default for $struct {
            fn default() -> Self {
                $struct { $( $field: $crate::codec::declare::or_default!($type $(, $default)?), )* }
            }
        }

        impl $crate::codec::Field for $struct {
            #[inline]
            fn min_bytes(version: $crate::codec::Version) -> usize {
                usize::from(version.flexible) $(
                    + if $crate::codec::declare::tag_of!($($tag)?).is_none()
                        && ($versions).contains(&version.number)
                    {
                        $crate::codec::declare::min_bytes!($type, version $(, $null)?)
                    } else {
                        0
                    }
                )*
            }

            #[inline]
            fn decode(
                input: &mut $crate::codec::Decoder<'_>,
                version: $crate::codec::Version,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let mut value = Self::default();
                $(
                    if $crate::codec::declare::tag_of!($($tag)?).is_none()
                        && ($versions).contains(&version.number)
                    {
                        value.$field =
                            $crate::codec::declare::decode!($type, input, version $(, $null)?)
                                .map_err(|error| error.within(stringify!($field)))?;
                    }
                )*
                if version.flexible {
                    input.tagged(|tag, input| {
                        $(
                            if $crate::codec::declare::tag_of!($($tag)?) == Some(tag)
                                && ($versions).contains(&version.number)
                            {
                                value.$field = $crate::codec::declare::decode!(
                                    $type, input, version $(, $null)?
                                ).map_err(|error| error.within(stringify!($field)))?;
                                return Ok(true);
                            }
                        )*
                        Ok(false)
                    })?;
                }
                Ok(value)
            }

            #[inline]
            fn skip(
                input: &mut $crate::codec::Decoder<'_>,
                version: $crate::codec::Version,
            ) -> Result<(), $crate::codec::DecodeError> {
                $(
                    if $crate::codec::declare::tag_of!($($tag)?).is_none()
                        && ($versions).contains(&version.number)
                    {
                        $crate::codec::declare::skip!($type, input, version $(, $null)?)
                            .map_err(|error| error.within(stringify!($field)))?;
                    }
                )*
                if version.flexible {
                    input.tagged(|tag, input| {
                        $(
                            if $crate::codec::declare::tag_of!($($tag)?) == Some(tag)
                                && ($versions).contains(&version.number)
                            {
                                $crate::codec::declare::skip!($type, input, version $(, $null)?)
                                    .map_err(|error| error.within(stringify!($field)))?;
                                return Ok(true);
                            }
                        )*
                        Ok(false)
                    })?;
                }
                Ok(())
            }

            #[inline]
            fn encode(&self, out: &mut $crate::codec::Encoder, version: $crate::codec::Version) {
                $(
                    if $crate::codec::declare::tag_of!($($tag)?).is_none()
                        && ($versions).contains(&version.number)
                    {
                        $crate::codec::declare::encode!(
                            $type, &self.$field, out, version $(, $null)?
                        );
                    }
                )*
                if version.flexible {
                    let tagged = 0u32 $(
                        + u32::from(
                            $crate::codec::declare::tag_of!($($tag)?).is_some()
                                && ($versions).contains(&version.number)
                                && self.$field
                                    != $crate::codec::declare::or_default!($type $(, $default)?)
                        )
                    )*;
                    out.put_uvarint(tagged);
                    $(
                        if let Some(tag) = $crate::codec::declare::tag_of!($($tag)?)
                            && ($versions).contains(&version.number)
                            && self.$field != $crate::codec::declare::or_default!($type $(, $default)?)
                        {
                            out.put_tagged(tag, |out| $crate::codec::declare::encode!(
                                $type, &self.$field, out, version $(, $null)?
                            ));
                        }
                    )*
                }
            }

            #[inline]
            #[allow(unused_variables)]
            fn errors(&self, found: &mut dyn FnMut($crate::error_code::ErrorCode)) {
                $( $crate::codec::declare::errors!($type, &self.$field, found $(, $null)?); )*
            }
        }

        #[cfg(test)]
        impl $crate::codec::generate::Generate for $struct {
            #[allow(unused_variables)]
            fn generate(
                source: &mut $crate::codec::generate::Source,
                version: $crate::codec::Version,
            ) -> Self {
                let mut value = Self::default();
                $(
                    // Defaults too: a tagged field is left out for them.
                    if ($versions).contains(&version.number) {
                        let generated = $crate::codec::declare::generate!(
                            $type, source, version $(, $null)?
                        );
                        if !(source.one_in(4)
                            && $crate::codec::declare::default_allowed!(
                                value.$field, version $(, $null)?
                            ))
                        {
                            value.$field = generated;
                        }
                    }
                )*
                value
            }
        }

        // A struct's null is a byte of its own, and only in the versions that have null at all.
        impl $crate::codec::Nullable for $struct {
            fn decode_nullable(
                input: &mut $crate::codec::Decoder<'_>,
                version: $crate::codec::Version,
                nullable: bool,
            ) -> Result<Option<Self>, $crate::codec::DecodeError> {
                if nullable && <i8 as $crate::codec::Field>::decode(input, version)? < 0 {
                    return Ok(None);
                }
                <$struct as $crate::codec::Field>::decode(input, version).map(Some)
            }

            fn skip_nullable(
                input: &mut $crate::codec::Decoder<'_>,
                version: $crate::codec::Version,
                nullable: bool,
            ) -> Result<(), $crate::codec::DecodeError> {
                if nullable && <i8 as $crate::codec::Field>::decode(input, version)? < 0 {
                    return Ok(());
                }
                <$struct as $crate::codec::Field>::skip(input, version)
            }

            fn encode_nullable(
                value: Option<&Self>,
                out: &mut $crate::codec::Encoder,
                version: $crate::codec::Version,
                nullable: bool,
            ) {
                if nullable {
                    out.put(&[if value.is_some() { 1 } else { 0xff }]);
                } else if value.is_none() {
                    out.fail($crate::codec::EncodeError::NullNotAllowed);
                }
                if let Some(value) = value {
                    $crate::codec::Field::encode(value, out, version);
                }
            }
        }
    )* };
}

/// The default given, or the type's.
macro_rules! or_default {
    ($type:ty) => {
        <$type as Default>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

/// A field's tag, if it was declared with one.
macro_rules! tag_of {
    () => {
        None::<u32>
    };
    ($tag:literal) => {
        Some::<u32>($tag)
    };
}

/// Fewest bytes of a field; a nullable one's null.
macro_rules! min_bytes {
    ($type:ty, $version:expr) => {
        <$type as $crate::codec::Field>::min_bytes($version)
    };
    ($type:ty, $version:expr, $null:expr) => {
        <$type as $crate::codec::declare::OfOption>::min_bytes($version)
    };
}

/// Reads a field.
macro_rules! decode {
    ($type:ty, $input:expr, $version:expr) => {
        <$type as $crate::codec::Field>::decode($input, $version)
    };
    ($type:ty, $input:expr, $version:expr, $null:expr) => {
        $crate::codec::Nullable::decode_nullable(
            $input,
            $version,
            ($null).contains(&$version.number),
        )
    };
}

/// Passes over a field.
macro_rules! skip {
    ($type:ty, $input:expr, $version:expr) => {
        <$type as $crate::codec::Field>::skip($input, $version)
    };
    ($type:ty, $input:expr, $version:expr, $null:expr) => {
        <$type as $crate::codec::declare::OfOption>::skip(
            $input,
            $version,
            ($null).contains(&$version.number),
        )
    };
}

/// Writes a field.
macro_rules! encode {
    ($type:ty, $value:expr, $out:expr, $version:expr) => {
        <$type as $crate::codec::Field>::encode($value, $out, $version)
    };
    ($type:ty, $value:expr, $out:expr, $version:expr, $null:expr) => {
        $crate::codec::Nullable::encode_nullable(
            Option::as_ref($value),
            $out,
            $version,
            ($null).contains(&$version.number),
        )
    };
}

/// Tells of the errors in a field.
macro_rules! errors {
    ($type:ty, $value:expr, $found:expr) => {
        <$type as $crate::codec::Field>::errors($value, $found)
    };
    ($type:ty, $value:expr, $found:expr, $null:expr) => {
        if let Some(value) = Option::as_ref($value) {
            $crate::codec::Field::errors(value, $found);
        }
    };
}

/// A field's test data.
#[cfg(test)]
macro_rules! generate {
    ($type:ty, $source:expr, $version:expr) => {
        <$type as $crate::codec::generate::Generate>::generate($source, $version)
    };
    ($type:ty, $source:expr, $version:expr, $null:expr) => {
        $crate::codec::generate::nullable($source, $version, ($null).contains(&$version.number))
    };
}

/// False for a default of null in a version that has none.
#[cfg(test)]
macro_rules! default_allowed {
    ($default:expr, $version:expr) => {
        true
    };
    ($default:expr, $version:expr, $null:expr) => {
        $default.is_some() || ($null).contains(&$version.number)
    };
}

pub(crate) use {decode, encode, errors, message, min_bytes, or_default, skip, tag_of};
#[cfg(test)]
pub(crate) use {default_allowed, generate};

use super::{DecodeError, Decoder, Nullable, Version};

/// Reaches the type inside a nullable field's `Option`.
pub(crate) trait OfOption {
    /// Fewest bytes of the field; null takes no more than the shortest value.
    fn min_bytes(version: Version) -> usize;
    /// Passes over the field.
    fn skip(input: &mut Decoder<'_>, version: Version, nullable: bool) -> Result<(), DecodeError>;
}

impl<T: Nullable> OfOption for Option<T> {
    fn min_bytes(version: Version) -> usize {
        // A null struct is one byte, whatever a present one takes.
        T::min_bytes(version).min(1)
    }

    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version, nullable: bool) -> Result<(), DecodeError> {
        T::skip_nullable(input, version, nullable)
    }
}
