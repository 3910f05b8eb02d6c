{# A query that gives the 95% interval of what was drawn: of the ordered values those that leave a fortieth on either side. One row per
   `keys` of which enough draws have a value; where many have none, the others are no fair picture.
   relation: name of a relation or CTE with the keys, replicate, and what was drawn in `column`; replicate 0 is no draw. #}
{% macro draw_intervals(relation, keys, column = 'value') -%}
    {%- set columns = keys | join(', ') -%}
    with ordered as (
        select
            *,
            row_number() over (
                partition by {{ columns }}
                order by {{ column }}, replicate
            ) as place,
            count(*) over (partition by {{ columns }}) as draw_count
        from {{ relation }}
        where replicate > 0 and {{ column }} is not null
    )

    select
        {{ columns }},
        max(case when place = floor(draw_count / 40) + 1 then {{ column }} end) as {{ column }}_lower,
        max(case when place = draw_count - floor(draw_count / 40) then {{ column }} end) as {{ column }}_upper
    from ordered
    where draw_count >= 0.95 * {{ var('bootstrap_replicates') }}
    group by {{ columns }}, draw_count
{%- endmacro %}
