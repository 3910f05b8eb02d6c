{# The current snapshot of each dataset: the newest one that was taken under the registered specification. #}
with headers as (
    select * from {{ ref('dataset_headers') }}
),

calendar as (
    select * from {{ ref('dataset_calendar') }}
),

newest as (
    select
        headers.dataset_id,
        headers.task,
        headers.snapshot_id,
        headers.as_of
    from headers
    inner join calendar
        on
            headers.dataset_id = calendar.dataset_id
            and headers.specification = calendar.specification
    qualify row_number() over (
        partition by headers.dataset_id
        order by headers.as_of desc, headers.snapshot_id asc
    ) = 1
)

select * from newest
