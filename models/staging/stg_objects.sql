with events as (
    select * from {{ ref('base_object_events') }}
    where rejection_reason is null
),

first_known as (
    select
        object_id,
        object_version,
        customer_id,
        modality,
        content_mac,
        content_mac_key_id,
        source_reference,
        record_id,
        row_hash,
        content_length,
        object_created_at,
        known_at
    from events
    qualify row_number() over (
        partition by object_id, object_version
        order by known_at, row_hash
    ) = 1
),

-- of two versions of one moment, known at one moment, nobody can tell which is the newer: the earlier name stays
one_per_moment as (
    select *
    from first_known
    qualify row_number() over (
        partition by object_id, known_at, object_created_at
        order by length(object_version), object_version
    ) = 1
)

select * from one_per_moment
