//! The store on a simulated disk.

mod model;
mod sim;
mod simulation;
mod text;
