-- A request that breaks a row rule erases nobody, and somebody waits for it: correct it and land it under another event_id.
select
    record_id,
    rejection_reason
from {{ ref('rejected_events') }}
where landing_table = 'erasure_requests'
