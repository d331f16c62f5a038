//! Arrays that stay in their frame.

use std::{fmt, vec};

use bytes::{Buf, Bytes};

use super::{DecodeError, DecodeErrorKind, Decoder, Encoder, Field, Version};

/// An array for the data path: it allocates nothing, however many its elements.
///
/// What came in a frame was checked as a whole. A single element, the common case, was decoded with
/// it; of more there is only their slice of the frame, and each is decoded when it is asked for.
/// They are charged to the frame's allowance all the same: whoever asks for them makes something of
/// each.
#[derive(Clone)]
pub struct LazyArray<T>(Elements<T>);

#[derive(Clone)]
enum Elements<T> {
    /// As a client makes them.
    Given(Vec<T>),
    One(T),
    Framed(Framed),
}

/// Elements to come, which were skipped once in this version.
#[derive(Debug, Clone)]
struct Framed {
    bytes: Bytes,
    left: usize,
    version: Version,
}

impl<T> LazyArray<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.0 {
            Elements::Given(elements) => elements.len(),
            Elements::One(_) => 1,
            Elements::Framed(framed) => framed.left,
        }
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Field> IntoIterator for LazyArray<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[inline]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter(match self.0 {
            Elements::Given(elements) => Left::Given(elements.into_iter()),
            Elements::One(element) => Left::One(Some(element)),
            Elements::Framed(framed) => Left::Framed(framed),
        })
    }
}

/// The elements of a [`LazyArray`], in order.
#[derive(Debug)]
pub struct IntoIter<T>(Left<T>);

#[derive(Debug)]
enum Left<T> {
    Given(vec::IntoIter<T>),
    One(Option<T>),
    Framed(Framed),
}

impl<T: Field> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Left::Given(elements) => elements.next(),
            Left::One(element) => element.take(),
            Left::Framed(framed) => framed.next(),
        }
    }
}

impl Framed {
    #[inline]
    fn next<T: Field>(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let mut input = Decoder::of_skipped(&self.bytes);
        // `skip` makes every check that `decode` makes; the tests hold one against the other.
        let element = T::decode(&mut input, self.version).expect("an element that was skipped");
        let taken_bytes = self.bytes.len() - input.left();
        self.bytes.advance(taken_bytes);
        Some(element)
    }
}

impl<T: Field + Clone> Field for LazyArray<T> {
    fn min_bytes(version: Version) -> usize {
        Vec::<T>::min_bytes(version)
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>, version: Version) -> Result<Self, DecodeError> {
        let left = begin::<T>(input, version)?;
        if left == 1 {
            return T::decode(input, version).map(Elements::One).map(LazyArray);
        }
        let bytes = input.slice_of(|input| skip_elements::<T>(input, left, version))?;
        Ok(LazyArray(Elements::Framed(Framed { bytes, left, version })))
    }

    #[inline]
    fn skip(input: &mut Decoder<'_>, version: Version) -> Result<(), DecodeError> {
        let count = begin::<T>(input, version)?;
        skip_elements::<T>(input, count, version)
    }

    fn encode(&self, out: &mut Encoder, version: Version) {
        out.put_long_len(Some(self.len()), version);
        self.clone().into_iter().for_each(|element| element.encode(out, version));
    }
}

/// Reads the number of elements.
#[inline]
fn begin<T: Field>(input: &mut Decoder<'_>, version: Version) -> Result<usize, DecodeError> {
    let Some(count) = input.long_len(version)? else {
        return Err(input.error(DecodeErrorKind::UnexpectedNull));
    };
    input.begin_array::<T>(count, T::min_bytes(version))?;
    Ok(count)
}

#[inline]
fn skip_elements<T: Field>(
    input: &mut Decoder<'_>,
    count: usize,
    version: Version,
) -> Result<(), DecodeError> {
    for _ in 0..count {
        T::skip(input, version)?;
    }
    Ok(())
}

impl<T> Default for LazyArray<T> {
    fn default() -> Self {
        LazyArray::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for LazyArray<T> {
    fn from(elements: Vec<T>) -> LazyArray<T> {
        LazyArray(Elements::Given(elements))
    }
}

impl<T> FromIterator<T> for LazyArray<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> LazyArray<T> {
        Vec::from_iter(elements).into()
    }
}

// Equal and shown by its elements, wherever they lie.
impl<T: Field + Clone + PartialEq> PartialEq for LazyArray<T> {
    fn eq(&self, other: &LazyArray<T>) -> bool {
        self.clone().into_iter().eq(other.clone())
    }
}

impl<T: Field + Clone + fmt::Debug> fmt::Debug for LazyArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
