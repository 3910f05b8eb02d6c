with subjects as (
    select * from {{ ref('requested_subjects') }}
),

records as (
    select distinct request_id from {{ ref('erasure_records') }}
),

-- nothing is staged before what was staged earlier is removed
erased as (
    select
        subjects.scope,
        subjects.subject_hash,
        subjects.request_id
    from subjects
    inner join records
        on subjects.request_id = records.request_id
)

select * from erased
