//! Schemas and rules against the fixtures and against virtual runs.

mod asyncapi;
mod conversations;
mod schemas;
mod tapes;
mod vocabulary;
mod virtual_runs;
