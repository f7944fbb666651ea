//! What the ECS receiver makes of two documents, one sample a line: `cargo run --example
//! ecs_samples TASK.json STATS.json`. The lines of tests/ecs/*.expected are written so, and then
//! compared by eye with what the vocabularies define; a test holds them from then on.

use otlet::aws::task_metadata::{parse_stats, parse_task};
use otlet::model::{push_float, FloatStyle, NAME_LABEL};
use otlet::receive::ecs::{collect, Cycle, Output, State, Vocabulary};

fn main() {
    let mut paths = std::env::args().skip(1);
    let mut read = || std::fs::read(paths.next().expect("two files")).expect("a file");
    let (task, stats) = (read(), read());
    print!("{}", render(&task, &stats));
}

/// The samples of each vocabulary under its name, in the order they go out.
pub fn render(task: &[u8], stats: &[u8]) -> String {
    let task = parse_task(task).expect("a task");
    let stats = parse_stats(stats).expect("statistics");
    let mut out = String::new();
    for name in Vocabulary::NAMES {
        out.push_str(&format!("# metrics={name}\n"));
        let vocabularies = [Vocabulary::named(name).expect("its own name")];
        let (labels, now_ms) = (&[], 1_767_323_420_000);
        let vocabularies = &vocabularies;
        let cycle = Cycle { task: &task, stats: &stats, now_ms, labels, vocabularies };
        collect(&cycle, &mut State::default(), &mut |output| {
            let Output::Sample(sample) = output else { return };
            let labels = sample.labels.iter().filter(|label| label.name != NAME_LABEL);
            let pairs: Vec<String> =
                labels.map(|label| format!("{}={:?}", label.name, label.value)).collect();
            out.push_str(&format!("{}{{{}}} ", sample.name(), pairs.join(",")));
            push_float(&mut out, sample.value, FloatStyle::Value);
            out.push('\n');
        });
    }
    out
}
