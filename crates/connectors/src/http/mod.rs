//! HTTP and REST systems.
