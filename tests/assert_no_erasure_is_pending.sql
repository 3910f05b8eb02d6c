-- Erasing is not built yet. Rather than ignore somebody's request, the build stops: also for one that breaks a row rule.
select event_id
from {{ ref('base_erasure_requests') }}
where {{ fail_where(
    "row_hash is not null",
    "'erasure_requests: this version cannot erase yet. Erase by hand (docs/architecture.md says where), then take the request out.'"
) }}
