{# At most so many examples of each snapshot in the queue, with their vectors: of customers in the order of a hash, so that a
   larger snapshot is audited on a sample of its customers; of one customer no more than a tenth of them. #}
{%- set most_examples = var('most_audited_examples') -%}

with snapshots as (
    select * from {{ ref('dataset_snapshots') }}
    where {{ is_behind_a_door() }}
),

queue as (
    select * from {{ ref('audit_queue') }}
),

events as (
    select * from {{ ref('stg_embedding_events') }}
),

-- keys first: a vector is read only of what is taken
some_of_each as (
    select
        snapshots.snapshot_id,
        snapshots.object_id,
        snapshots.split_group_id,
        snapshots.split,
        snapshots.label,
        events.encoder_fingerprint,
        events.event_id
    from snapshots
    inner join queue
        on snapshots.snapshot_id = queue.snapshot_id
    inner join events
        on
            snapshots.object_id = events.object_id
            and snapshots.object_version = events.object_version
            and queue.encoder_fingerprint = events.encoder_fingerprint
    qualify row_number() over (
        partition by snapshots.snapshot_id, events.encoder_fingerprint, snapshots.split_group_id
        order by {{ hash_to_int64('snapshots.object_id') }}, snapshots.object_id
    ) <= {{ most_examples // 10 }}
),

taken as (
    select * from some_of_each
    -- rows of one customer are counted together
    qualify count(*) over (
        partition by snapshot_id, encoder_fingerprint
        order by {{ hash_to_int64('split_group_id') }}, split_group_id
    ) <= {{ most_examples }}
),

audited as (
    select
        taken.snapshot_id,
        taken.object_id,
        taken.split_group_id,
        taken.split,
        taken.label,
        taken.encoder_fingerprint,
        events.embedding
    from taken
    inner join events
        on
            taken.encoder_fingerprint = events.encoder_fingerprint
            and taken.event_id = events.event_id
)

select * from audited
