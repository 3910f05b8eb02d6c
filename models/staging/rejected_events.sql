{#- A landed row that does not reach staging is a row here, never a silent loss. -#}
{%- set checked = [
    ('object_events', 'base_object_events', 'stg_objects'),
    ('embedding_events', 'judged_embedding_events', 'stg_embedding_events'),
    ('account_events', 'base_account_events', 'stg_account_events'),
    ('rating_events', 'base_rating_events', 'stg_rating_events'),
    ('decision_events', 'base_decision_events', 'stg_decision_events'),
    ('promotion_events', 'base_promotion_events', 'stg_promotion_events'),
    ('erasure_requests', 'base_erasure_requests', 'stg_erasure_requests'),
] -%}

with
{%- for landing_table, base, staged in checked %}
{{ landing_table }} as (
    select
        '{{ landing_table }}' as landing_table,
        landed.record_id,
        landed.row_hash,
        coalesce(landed.rejection_reason, 'conflicts_with_first_known_row') as rejection_reason
    from {{ ref(base) }} as landed
    left join {{ ref(staged) }} as staged
        on landed.row_hash = staged.row_hash
    where landed.rejection_reason is not null or staged.row_hash is null
),
{% endfor %}
rejected as (
    {%- for landing_table, _, _ in checked %}
    select * from {{ landing_table }}
    {{- " union all" if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        landing_table,
        record_id,
        row_hash,
        rejection_reason,
        count(*) as row_count
    from rejected
    group by landing_table, record_id, row_hash, rejection_reason
)

select * from counted
