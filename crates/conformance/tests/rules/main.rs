//! Schemas and rules against the fixtures and against virtual runs.

mod conversations;
mod schemas;
mod virtual_runs;
