//! Who chose a value, and so who can mend one that does not fit.

use renkei_core::{Error, Kind, Tree};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Arguments,
    /// It comes with the caller: another call of theirs has the same.
    Caller,
    /// From the run, such as another step's result.
    Config,
}

impl Origin {
    pub fn of(tree: &Tree) -> Self {
        let vars = tree.vars();
        match vars.iter().any(|name| &**name == "caller") {
            true => Origin::Caller,
            false if vars.is_empty() => Origin::Arguments,
            false => Origin::Config,
        }
    }

    /// Of an error about such a value.
    pub fn kind(self) -> Kind {
        match self {
            Origin::Arguments => Kind::Invalid,
            Origin::Caller => Kind::Forbidden,
            Origin::Config => Kind::Internal,
        }
    }

    /// The end of a sentence about such a value.
    pub fn advice(self) -> &'static str {
        match self {
            Origin::Arguments => "",
            Origin::Caller => "; this value comes with the caller, not with the arguments",
            Origin::Config => "; it is not among the arguments, so the config must be mended",
        }
    }

    pub fn error(self, text: &str) -> Error {
        Error::new(self.kind(), format!("{text}{}", self.advice()))
    }
}
