//! Who waits for whom.

/// A cycle among branches, each of which waits for the next, and the last for the first. `needs` holds, by branch,
/// those that it waits for.
pub(super) fn cycle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut walk = Walk { needs, done: vec![false; needs.len()], path: Vec::new() };
    (0..needs.len()).find_map(|at| walk.from(at))
}

struct Walk<'n> {
    needs: &'n [Vec<usize>],
    /// No cycle goes through these.
    done: Vec<bool>,
    path: Vec<usize>,
}

impl Walk<'_> {
    /// As deep as there are branches, at most.
    fn from(&mut self, at: usize) -> Option<Vec<usize>> {
        if self.done[at] {
            return None;
        }
        if let Some(start) = self.path.iter().position(|before| *before == at) {
            return Some(self.path[start..].to_vec());
        }
        self.path.push(at);
        let needs = self.needs;
        let found = needs[at].iter().find_map(|next| self.from(*next));
        self.path.pop();
        self.done[at] = true;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::cycle;

    #[test]
    fn finds_a_cycle_or_none() {
        assert_eq!(cycle(&[]), None);
        assert_eq!(cycle(&[vec![1, 2], vec![2], vec![]]), None);
        assert_eq!(cycle(&[vec![0]]), Some(vec![0]));
        assert_eq!(cycle(&[vec![1], vec![2], vec![3], vec![1]]), Some(vec![1, 2, 3]));
        assert_eq!(cycle(&[vec![], vec![0, 2], vec![0, 1]]), Some(vec![1, 2]));
    }
}
