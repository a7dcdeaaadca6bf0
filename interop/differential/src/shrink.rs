//! Makes a script that shows a difference small: drops steps as long as a difference stays.

use crate::script::Script;

/// The smallest script found for which `differs` gives something, and what it gives. None if it gives nothing for
/// `script` itself.
pub(crate) fn shrink<D>(script: &Script, mut differs: impl FnMut(&Script) -> Option<D>) -> Option<(Script, D)> {
    let mut smallest = (script.clone(), differs(script)?);
    let mut chunk = script.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut end = smallest.0.steps.len();
        while end > 0 {
            let start = end.saturating_sub(chunk);
            let mut smaller = smallest.0.clone();
            smaller.steps.drain(start..end);
            if let Some(difference) = differs(&smaller) {
                smallest = (smaller, difference);
            }
            end = start.min(smallest.0.steps.len());
        }
        chunk /= 2;
    }
    Some(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Action, Step};

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let step = |ms| Step { place: None, action: Action::Sleep { ms }, pipelined: false };
        let script = Script { name: String::new(), steps: (0..20).map(step).collect() };
        let differs = |script: &Script| [3, 11, 12].iter().all(|ms| script.steps.contains(&step(*ms))).then_some(());
        let (smallest, ()) = shrink(&script, differs).unwrap();
        assert_eq!(smallest.steps, [step(3), step(11), step(12)]);
    }
}
