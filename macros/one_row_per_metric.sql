{# A query that turns a column per metric into a row per metric: the keys, `metric`, `value`, and the columns of `beside`.
   relation: name of a relation or CTE with the keys and metrics as columns, named once: BigQuery computes a CTE for every time
   that it is named. #}
{% macro one_row_per_metric(relation, keys, metrics, beside = []) -%}
    select
        {%- for key in keys %}
        {{ relation }}.{{ key }},
        {%- endfor %}
        names.metric,
        {%- for column in beside %}
        {{ relation }}.{{ column }},
        {%- endfor %}
        case names.metric
            {%- for metric in metrics %}
            when '{{ metric }}' then cast({{ relation }}.{{ metric }} as {{ float_type() }})
            {%- endfor %}
        end as value
    from {{ relation }}
    cross join (
        {%- for metric in metrics %}
        select '{{ metric }}' as metric
        {%- if not loop.last %} union all{% endif %}
        {%- endfor %}
    ) as names
{%- endmacro %}
