{# Who and what was erased and must not come back. A view: the ids of a customer's objects are kept nowhere, and are gone with
   their landed rows. #}
with recorded as (
    select distinct request_id from {{ ref('erasure_records') }}
),

-- nothing is staged before what was staged earlier is removed
requests as (
    select requests.*
    from {{ ref('stg_erasure_requests') }} as requests
    inner join recorded
        on requests.event_id = recorded.request_id
),

erased_subjects as (
    {{ requested_subjects('requests') | indent(4) }}
)

select * from erased_subjects
