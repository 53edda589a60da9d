//! What the project wants to reach, beside what was measured.

use super::compare::Beside;

#[derive(Debug, Default)]
pub(super) struct Aims(Vec<Aim>);

#[derive(Debug)]
struct Aim {
    what: String,
    aim: String,
    measured: String,
    reached: bool,
}

impl Aims {
    /// A ratio of calls, for each number of clients: at least `least`.
    pub(super) fn ratio(&mut self, what: &str, least: f64, side: &str, beside: &[Beside]) {
        self.ratio_from(0, what, least, side, beside);
    }

    /// The same, only for so many clients or more.
    pub(super) fn ratio_from(&mut self, from: usize, what: &str, least: f64, side: &str, beside: &[Beside]) {
        let found = beside.iter().filter(|beside| beside.side == side && beside.clients >= from);
        for Beside { clients, ratio, .. } in found {
            let plural = if *clients == 1 { "client" } else { "clients" };
            self.0.push(Aim {
                what: format!("{what}, {clients} {plural}"),
                aim: format!("≥ {least}×"),
                measured: format!("{:.2}×", ratio.median),
                reached: ratio.median >= least,
            });
        }
    }

    /// A figure that must stay below.
    pub(super) fn below(&mut self, what: &str, most: f64, measured: f64, unit: &str) {
        self.0.push(Aim {
            what: what.to_owned(),
            aim: format!("< {most} {unit}"),
            measured: format!("{measured:.1} {unit}"),
            reached: measured < most,
        });
    }

    pub(super) fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("## Aims\n\n| what | aim | measured | reached |\n|---|---|---|---|");
        for Aim { what, aim, measured, reached } in &self.0 {
            println!("| {what} | {aim} | {measured} | {} |", if *reached { "yes" } else { "no" });
        }
        println!();
    }
}
