{# The four schemas say who may read: restricted, ledger, internal, published. BigQuery's datasets are global
   to a project, so there they carry the dataset of the target as a prefix. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if target.type == 'bigquery' -%}
        {{ [target.schema, custom_schema_name] | reject('none') | join('_') }}
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}
