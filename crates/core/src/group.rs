//! Groups: parts of what a config offers, each with an endpoint of its own.

use std::sync::Arc;

/// A group as the config declares it, its patterns resolved.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// One segment of a URL's path.
    pub name: Arc<str>,
    pub title: Option<String>,
    /// For people: what it is good for.
    pub description: Option<String>,
    /// For the model; those of the server without it.
    pub instructions: Option<String>,
    /// Names of tools for clients, in the order of the config.
    pub tools: Vec<Arc<str>>,
    /// Names and patterns of tools, as the config has them: for tools that systems offer, which are known later.
    pub patterns: Vec<Arc<str>>,
    /// Names of resources.
    pub resources: Vec<Arc<str>>,
    /// Names of prompts.
    pub prompts: Vec<Arc<str>>,
}

/// Whether a name is that of the pattern, in which `*` stands for any letters, none included.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    // The earliest place is as good as any, since a part may be followed by any letters.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name, expected) in [
            ("get", "get", true),
            ("get", "gets", false),
            ("get", "ge", false),
            ("*", "", true),
            ("*", "anything", true),
            ("crm_*", "crm_", true),
            ("crm_*", "crm_get", true),
            ("crm_*", "xcrm_get", false),
            ("*_get", "crm_get", true),
            ("*_get", "crm_gets", false),
            ("c*m*t", "crm_get", true),
            ("c*m*t", "cm", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a**b", "ab", true),
            ("a*bc*bc", "abcbc", true),
            ("a*bc*bc", "abc", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
