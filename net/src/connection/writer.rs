//! Answers, in order, into the socket.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::closed::Closed;
use super::spare;
use super::state::{Answered, Origin, State};
use crate::codec::Encoder;
use crate::extent::Part;
use crate::limits::Limits;
use crate::service::{Answer, Exchange, Service};
use crate::stream::{Stream, Timer};

/// Parts handed to one write; the kernel takes no more than 1024.
const PARTS_PER_WRITE: usize = 512;

/// Writes answers until the last is written. Those at hand are written together.
pub(super) async fn run<S: Stream, T: Timer, V: Service>(
    stream: &S,
    timer: &T,
    service: V,
    limits: &Limits,
    state: &State,
) -> Result<(), Closed> {
    while let Some(first) = state.next_answer().await {
        let mut out = spare::take();
        let began = timer.now();
        let mut end = encode(first, &mut out.encoder, &service, began);
        while end.is_ok()
            && out.encoder.len() < limits.write_gather_bytes
            && let Some(next) = state.answer_at_hand()
        {
            end = encode(next, &mut out.encoder, &service, began);
        }
        out.encoder.take_parts_into(&mut out.parts);
        if !out.parts.is_empty() {
            let written = write_all(stream, timer, &mut out.parts, limits, state).await;
            written.map_err(Closed::Write)?;
            service.sent(timer.now().saturating_sub(began));
        }
        spare::give_back(out);
        end?;
    }
    Ok(())
}

/// Encodes one answer, or says why there is no answer after those encoded.
fn encode<V: Service>(
    answered: Answered,
    out: &mut Encoder,
    service: &V,
    now: Duration,
) -> Result<(), Closed> {
    let (before_bytes, Origin { api, request_bytes, began, .. }) = (out.len(), answered.origin);
    let encoded = encode_answer(&answered, out);
    service.answered(&Exchange {
        api,
        request_bytes,
        response_bytes: out.len() - before_bytes,
        took: now.saturating_sub(began),
        answer: &answered.answer,
    });
    encoded
}

fn encode_answer(answered: &Answered, out: &mut Encoder) -> Result<(), Closed> {
    let Answered { answer, origin: Origin { api, version, correlation_id, .. } } = answered;
    let (api, version, correlation_id) = (*api, *version, *correlation_id);
    let answers = match answer {
        Answer::Silent => return Ok(()),
        Answer::Close => return Err(Closed::ByService),
        Answer::Send(response) => response.api(),
        Answer::SendEncoded(response) => response.api(),
    };
    if answers != api {
        return Err(Closed::WrongAnswer { request: api, response: answers });
    }
    let encoded = match answer {
        Answer::Send(response) => response.encode(version, correlation_id, out),
        Answer::SendEncoded(response) => response.encode(version, correlation_id, out),
        Answer::Silent | Answer::Close => Ok(()),
    };
    encoded.map_err(|source| Closed::Unencodable { api, version, source })
}

async fn write_all<S: Stream, T: Timer>(
    stream: &S,
    timer: &T,
    parts: &mut [Part],
    limits: &Limits,
    state: &State,
) -> io::Result<()> {
    let (mut first, mut turn_bytes) = (0, 0);
    state.writer_step(true);
    while first < parts.len() {
        let end = parts.len().min(first + PARTS_PER_WRITE);
        let mut written_bytes = stream.write(&parts[first..end]).await?;
        if written_bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        turn_bytes += written_bytes;
        while let Some(part) = parts.get_mut(first)
            && written_bytes > 0
        {
            let step_bytes = written_bytes.min(part.len());
            part.advance(step_bytes);
            written_bytes -= step_bytes;
            if part.is_empty() {
                *part = Part::Bytes(Bytes::new());
                first += 1;
            }
        }
        state.writer_step(true);
        // A client that reads as fast as this writes would have the thread to itself.
        if turn_bytes >= limits.turn_bytes && first < parts.len() {
            turn_bytes = 0;
            timer.yield_now().await;
        }
    }
    state.writer_step(false);
    Ok(())
}
