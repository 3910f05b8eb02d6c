{# The dot product of two vectors of one length, in double precision. Vectors of different lengths
   stop the query: they come from two encoders, and a number would look plausible.
   Usage: {{ dot_product('vectors.embedding', 'units.weights') }} #}
{% macro dot_product(left_vector, right_vector) -%}
    {{ return(adapter.dispatch('dot_product')(left_vector, right_vector)) }}
{%- endmacro %}

{% macro default__dot_product(left_vector, right_vector) -%}
    list_dot_product(cast({{ left_vector }} as double[]), cast({{ right_vector }} as double[]))
{%- endmacro %}

{% macro bigquery__dot_product(left_vector, right_vector) -%}
    if(
        array_length({{ left_vector }}) = array_length({{ right_vector }}),
        (
            select coalesce(sum(left_element * {{ right_vector }}[offset(element_position)]), 0)
            from unnest({{ left_vector }}) as left_element with offset as element_position
        ),
        error(concat(
            'dot_product: lengths ', cast(array_length({{ left_vector }}) as string),
            ' and ', cast(array_length({{ right_vector }}) as string)
        ))
    )
{%- endmacro %}
