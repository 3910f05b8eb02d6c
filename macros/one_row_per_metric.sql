{# A query that turns a column per metric into a row per metric: the keys, `metric`, `value`, and the columns of `beside`.
   relation: name of a relation or CTE with the keys and metrics as columns. #}
{% macro one_row_per_metric(relation, keys, metrics, beside = []) -%}
    {%- for metric in metrics %}
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        '{{ metric }}' as metric,
        {%- for column in beside %}
        {{ column }},
        {%- endfor %}
        cast({{ metric }} as {{ float_type() }}) as value
    from {{ relation }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
{%- endmacro %}
