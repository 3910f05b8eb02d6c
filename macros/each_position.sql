{# One row per position of an array, counted from 0, to be cross-joined to the array's relation.
   Usage: cross join {{ each_position('models.classes', as_column = 'position') }} #}
{% macro each_position(array, as_column) -%}
    {{ return(adapter.dispatch('each_position')(array, as_column)) }}
{%- endmacro %}

{% macro default__each_position(array, as_column) -%}
    unnest(range(len({{ array }}))) as positions ({{ as_column }})
{%- endmacro %}

{% macro bigquery__each_position(array, as_column) -%}
    unnest(generate_array(0, array_length({{ array }}) - 1)) as {{ as_column }}
{%- endmacro %}
