-- A request that breaks a row rule erases nobody, and somebody waits for it: take it out of its
-- file, and land it corrected.
select
    record_id,
    rejection_reason
from {{ ref('rejected_events') }}
where landing_table = 'erasure_requests'
