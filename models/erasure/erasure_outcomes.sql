with records as (
    select * from {{ ref('erasure_records') }}
),

requests as (
    select * from {{ ref('stg_erasure_requests') }}
),

finished as (
    select
        request_id,
        max(recorded_at) as erased_at
    from records
    where record_type = 'erased'
    group by request_id
),

found as (
    select
        request_id,
        table_name,
        cast(sum(row_count) as int64) as row_count,
        min(recorded_at) as recorded_at
    from records
    where record_type = 'found'
    group by request_id, table_name
),

outcomes as (
    select
        found.request_id,
        requests.scope,
        found.table_name,
        found.row_count,
        requests.requested_at,
        found.recorded_at,
        finished.erased_at
    from found
    left join requests
        on found.request_id = requests.event_id
    left join finished
        on found.request_id = finished.request_id
)

select * from outcomes
