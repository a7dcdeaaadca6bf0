//! Deaths: counting and circles.
