//! `renkei demo`.
mod systems;
