//! From the servers to the pipeline: what a request came to, in the sender's terms.

use std::rc::Rc;

use super::{Answer, BodyError, Config, Encoding, Export, Otlp, Signal, Signals};
use crate::codec::grpc::{Code, Status};
use crate::observe::{Budget, Registry};
use crate::pipeline::{NotTaken, OtlpIntake, Pipeline};

/// Opens the receiver towards the pipeline; fails where a socket cannot be opened.
pub fn open(
    config: &Config,
    pipeline: &Rc<Pipeline>,
    registry: &Rc<Registry>,
    budget: &Rc<Budget>,
) -> Result<Otlp<impl AsyncFn(Export) -> Answer + 'static>, String> {
    let intake = OtlpIntake::new(pipeline, "otlp", fastrand::u64(..));
    let signals = Signals {
        metrics: intake.takes(Signal::Metrics),
        traces: intake.takes(Signal::Traces),
        logs: intake.takes(Signal::Logs),
    };
    let sink = async move |export: Export| {
        let Export { signal, encoding, body, mut held } = export;
        let taken = intake.take(signal, encoding == Encoding::Json, body, &mut held).await;
        drop(held);
        match taken {
            Ok(()) => Answer::taken(),
            Err(NotTaken::NoRoom) => Answer::Unheld(BodyError::NoRoom),
            Err(NotTaken::TooLarge) => Answer::Unheld(BodyError::NeverFits),
            Err(NotTaken::Bad(refusal)) => {
                log::warn!("otlp: a body was refused: {refusal}");
                Answer::Refused(Status::new(Code::InvalidArgument, refusal.to_string()))
            }
        }
    };
    Otlp::open(config, signals, registry, budget, sink)
}
