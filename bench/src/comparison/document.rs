//! A file of results, read back: one run, or a series of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environment::Environment;
use crate::load_report::{LoadReport, LoadResult, SCHEMA_VERSION};
use crate::series::SeriesReport;

/// Largest file that is read: no result comes near.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Results to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where they come from.
    pub name: String,
    /// What was done.
    pub workload: String,
    /// What was asked for.
    pub settings: Value,
    /// Where it was measured.
    pub environment: Environment,
    /// True if nothing is missing.
    pub is_whole: bool,
    /// Who was measured.
    pub contenders: Vec<String>,
    /// All runs, each with the index of its contender.
    pub reports: Vec<(usize, LoadReport)>,
}

/// Why a file is no result.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It can't be read.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is no JSON, or not that of a result.
    #[error("{} is no result of `corelane bench`: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It was written by another version, in another form.
    #[error(
        "{} has schema version {found}, this program reads {SCHEMA_VERSION}: measure again, or compare \
         with the version that wrote it{}", path.display(), wrote(program)
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version, as JSON.
        found: String,
        /// The program's version that wrote it, if it says so.
        program: Option<String>,
    },
    /// It is of a kind that has no runs to compare.
    #[error("{} is a result of kind {kind:?}; runs and series can be compared", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// Its kind.
        kind: String,
    },
}

fn wrote(program: &Option<String>) -> String {
    program.as_ref().map_or_else(String::new, |version| format!(" (corelane {version})"))
}

impl Document {
    /// Reads a file that `--json` has written.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub fn read(path: &Path) -> Result<Document, DocumentError> {
        let failed = |source| DocumentError::Read { path: path.to_owned(), source };
        let bytes = fs::metadata(path).map_err(failed)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{bytes} bytes are no result"),
            )));
        }
        Document::parse(path, &fs::read(path).map_err(failed)?)
    }

    /// Reads what such a file holds.
    ///
    /// # Errors
    /// All of [`DocumentError`] but the first.
    pub fn parse(path: &Path, json: &[u8]) -> Result<Document, DocumentError> {
        let no_result = |source| DocumentError::Json { path: path.to_owned(), source };
        let value: Value = serde_json::from_slice(json).map_err(no_result)?;
        let version = &value["schema_version"];
        // Without a version it is no result at all; what is missing is then told by name.
        if !version.is_null() && *version != SCHEMA_VERSION {
            let program = value["environment"]["program_version"].as_str().map(str::to_owned);
            let (path, found) = (path.to_owned(), version.to_string());
            return Err(DocumentError::Version { path, found, program });
        }
        let name = path.display().to_string();
        match value["kind"].as_str().unwrap_or("run") {
            "run" => {
                let report: LoadReport = serde_json::from_value(value).map_err(no_result)?;
                Ok(Document::of_run(name, report))
            }
            "series" => {
                let report: SeriesReport = serde_json::from_value(value).map_err(no_result)?;
                Ok(Document::of_series(name, report))
            }
            kind => Err(DocumentError::Kind { path: path.to_owned(), kind: kind.to_owned() }),
        }
    }

    fn of_run(name: String, report: LoadReport) -> Document {
        Document {
            name,
            workload: report.workload.clone(),
            settings: report.settings.clone(),
            environment: report.environment.clone(),
            is_whole: report.is_whole(),
            contenders: vec!["broker".to_owned()],
            reports: vec![(0, report)],
        }
    }

    fn of_series(name: String, series: SeriesReport) -> Document {
        Document {
            name,
            workload: series.workload,
            settings: series.settings,
            environment: series.environment,
            is_whole: series.complete,
            contenders: series.contenders.into_iter().map(|entrant| entrant.name).collect(),
            reports: series.runs.into_iter().map(|run| (run.contender, run.report)).collect(),
        }
    }

    /// The figures of one contender's whole runs; of all its runs where none is whole.
    pub(super) fn results(&self, contender: usize) -> Vec<&LoadResult> {
        let of = || self.reports.iter().filter(move |(index, _)| *index == contender);
        let whole: Vec<&LoadResult> = of()
            .filter(|(_, report)| report.is_whole())
            .map(|(_, report)| &report.result)
            .collect();
        if whole.is_empty() { of().map(|(_, report)| &report.result).collect() } else { whole }
    }
}
