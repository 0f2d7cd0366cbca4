//! Schemas and rules against the fixtures and against virtual runs.

mod schemas;
