{# The Euclidean length of a vector, in double precision. Not finite as soon as one element is not,
   so the same number tells a NaN; null if an element is null. Usage: {{ vector_norm('embedding') }} #}
{% macro vector_norm(vector) -%}
    {{ return(adapter.dispatch('vector_norm')(vector)) }}
{%- endmacro %}

{% macro default__vector_norm(vector) -%}
    case
        when len(list_filter({{ vector }}, lambda element: element is null)) = 0
            then sqrt(list_dot_product(cast({{ vector }} as double[]), cast({{ vector }} as double[])))
    end
{%- endmacro %}

{# A product that is too large for a double is an error here, and not infinity. #}
{% macro bigquery__vector_norm(vector) -%}
    (
        select sqrt(sum(case when abs(element) > 1e150 then cast('inf' as float64) else element * element end))
        from unnest({{ vector }}) as element
    )
{%- endmacro %}
