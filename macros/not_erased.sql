{# Whether a landed row's object or customer was never erased; a row without one is nobody's.
   Usage: where {{ not_erased('object', 'object_id') }} #}
{% macro not_erased(scope, column) -%}
    coalesce(cast({{ column }} as string), '') not in (
        select subject_id
        from {{ ref('erased_subjects') }}
        where scope = '{{ scope }}'
    )
{%- endmacro %}
