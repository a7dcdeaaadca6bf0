//! The store on a simulated disk.

mod at_work;
mod damage;
mod full;
mod judge;
mod model;
mod sim;
mod simulation;
mod text;
mod threads;
