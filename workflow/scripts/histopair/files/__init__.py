"""Files as people and the workflow write them: tables, paths, spellings, missing values, audits."""
