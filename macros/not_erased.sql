{# Whether a landed row's object or customer was never erased; a row without one is nobody's.
   Usage: where {{ not_erased('object', 'object_id') }} #}
{% macro not_erased(scope, column) -%}
    coalesce({{ subject_hash(scope, column) }}, '') not in (select subject_hash from {{ ref('erased_subjects') }})
{%- endmacro %}
