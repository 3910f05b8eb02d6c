{# At most so many examples of each current snapshot's training and validation splits, with the vectors of the encoders in live
   use: whole customers, in the order of a hash, so that a larger snapshot is audited on a sample of its customers. #}
{%- set most_examples = 5000 -%}

with snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where split in ('train', 'validation')
),

-- each snapshot is audited once, so not before its vectors are there
coverage as (
    select * from {{ ref('dataset_coverage') }}
    where is_live and coverage >= {{ least_coverage() }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

-- keys first: a vector is read only of what is taken
taken as (
    select
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.split_group_id,
        snapshots.label,
        events.encoder_fingerprint,
        events.event_id
    from snapshots
    inner join coverage
        on snapshots.snapshot_id = coverage.snapshot_id
    inner join events
        on
            snapshots.object_id = events.object_id
            and snapshots.object_version = events.object_version
            and coverage.encoder_fingerprint = events.encoder_fingerprint
    -- rows of one customer are counted together
    qualify count(*) over (
        partition by snapshots.snapshot_id, events.encoder_fingerprint
        order by {{ hash_to_int64('snapshots.split_group_id') }}, snapshots.split_group_id
    ) <= {{ most_examples }}
),

audited as (
    select
        taken.snapshot_id,
        taken.object_id,
        taken.split_group_id,
        taken.label,
        taken.encoder_fingerprint,
        events.embedding
    from taken
    inner join events
        on taken.event_id = events.event_id
)

select * from audited
