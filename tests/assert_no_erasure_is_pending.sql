-- Erasing is not built yet. Rather than ignore somebody's request, the build stops.
select event_id
from {{ ref('stg_erasure_requests') }}
where {{ fail_where(
    "event_id is not null",
    "'erasure_requests: this version cannot erase yet. Erase by hand (docs/architecture.md says where), then take the request out.'"
) }}
