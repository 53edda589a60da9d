//! The engine around a system that does what it is told, on virtual time.

mod calls;
mod exposed;
mod groups;
mod input;
mod layers;
mod resources;
mod results;
mod systems;
mod watch;
