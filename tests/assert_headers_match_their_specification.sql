-- A header whose words are not those that its specification, and so its snapshot_id, was hashed from.
select snapshot_id
from {{ ref('dataset_headers') }}
where
    specification <> substr({{ dbt.hash('specification_text') }}, 1, 8)
    or snapshot_id <> dataset_id || '@' || {{ format_utc('as_of') }} || '#' || specification
