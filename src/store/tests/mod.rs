//! The store on a simulated disk.

mod damage;
mod judge;
mod model;
mod sim;
mod simulation;
mod text;
mod threads;
