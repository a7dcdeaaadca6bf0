//! The codec at its public API: bytes in, values out, and back.

mod assembler;
mod frame;
mod fuzz;
mod generate;
mod method;
mod properties;
mod table;
